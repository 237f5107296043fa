# `logly run` puts this folder before all others on PYTHONPATH. When the program, or a Python that it starts, has
# imported `logging`, this file calls `logly.install()`. It also runs the sitecustomize that would have run without it.
# Any Python may find this file, even 2.7, and even one without logly. So it is written in what all of them understand,
# imports nothing that `site` has not imported already, and says nothing where logly is missing.
import os
import sys


class AtLogging(object):
    """A finder that calls `install` at the end of the first import of `logging`.

    A Python that imports no `logging` does not pay for logly. No other thread can use `logging` before `install` has
    run, because its import has not ended.
    """

    def __init__(self):
        self.begun = []  # the imports that have begun and not ended

    def find_spec(self, name, path=None, target=None):
        # logly's own modules import `logging`, too. `install` needs all of them, so it waits until they are complete.
        if name not in ("logging", "logly") and not name.startswith("logly."):
            return None
        spec = spec_of(name, path, target, self)
        if spec is not None and spec.loader is not None:
            spec.loader = Loader(self, spec)
        return spec

    def has_imported(self):
        if not self.begun and "logging" in sys.modules:
            try:
                sys.meta_path.remove(self)
            except ValueError:
                return  # another thread has been here
            install()


class Loader(object):
    """Stands for a module's own loader until the module is executed, and is not seen afterwards."""

    def __init__(self, finder, spec):
        self.finder = finder
        self.spec = spec
        self.own = spec.loader

    def __getattr__(self, name):
        return getattr(self.__dict__["own"], name)

    def exec_module(self, module):
        self.spec.loader = module.__loader__ = self.own
        self.finder.begun.append(self.spec.name)
        try:
            self.own.exec_module(module)
        finally:
            self.finder.begun.remove(self.spec.name)
        self.finder.has_imported()


def spec_of(name, path=None, target=None, after=None):
    """What the finders say, those behind `after`: another logly's folder may have put a finder like this one there."""
    finders = list(sys.meta_path)
    if after in finders:
        del finders[: finders.index(after) + 1]
    for finder in finders:
        if hasattr(finder, "find_spec"):
            spec = finder.find_spec(name, path, target)
            if spec is not None:
                return spec
    return None


def has_logly():
    """Whether the package that would be imported is this one, for this Python. Others have the name, too."""
    spec = spec_of("logly")
    places = spec is not None and spec.submodule_search_locations
    if not places:
        return False
    is_ours = any(os.path.exists(os.path.join(place, "bridge", "at_start.py")) for place in places)
    return is_ours and spec_of("logly._core", places) is not None


def install():
    try:
        if has_logly():
            from logly.bridge.at_start import install_at_start

            install_at_start()
    except Exception as trouble:
        try:
            text = " ".join(str(trouble).split())
            sys.stderr.write("logly: nothing is installed: {}: {}\n".format(type(trouble).__name__, text))
            sys.stderr.flush()
        except Exception:
            pass  # there is no stderr, or it is closed: the program starts all the same


def begin():
    # logly has no build for older ones.
    if sys.version_info < (3, 11) or os.environ.get("LOGLY_INSTALL") == "0":
        return
    if "logging" in sys.modules:  # a .pth file has imported it
        install()
    else:
        sys.meta_path.insert(0, AtLogging())


def run_next():
    here = os.path.normpath(os.path.dirname(__file__))
    taken = [(i, path) for i, path in enumerate(sys.path) if os.path.normpath(path) == here]
    for i, _ in reversed(taken):
        del sys.path[i]
    # If there is no other sitecustomize, or if it raises, then the exception also ends this file. So `site` says what
    # it says without logly, and no module of this name is left.
    module = sys.modules.pop("sitecustomize")  # Python 2 would clear a module that nothing refers to
    try:
        import sitecustomize  # noqa: F401
    finally:
        # A program may hand its sys.path to its children. They shall find this file, too.
        for i, path in taken:
            sys.path.insert(i, path)
        del module


begin()
run_next()
