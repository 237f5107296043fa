# What `logly run` puts before all other modules of this name: it calls `logly.install()` in every Python of the program,
# then runs the sitecustomize that would have run without it. Interpreters of any version may find this file, and any of
# them may be without logly: so it is written in what all versions understand, and says nothing where logly is missing.
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))


def begin():
    if os.environ.get("LOGLY_INSTALL") == "0":
        return
    try:
        from importlib.util import find_spec

        # There are other packages named logly. None of them is imported here.
        spec = find_spec("logly")
        places = spec and spec.submodule_search_locations or ()
        if not any(os.path.isfile(os.path.join(place, "bridge", "at_start.py")) for place in places):
            return
        from logly.bridge.at_start import install_at_start

        install_at_start()
    except Exception as trouble:
        # The name: logly is there, but compiled for another Python.
        is_missing = isinstance(trouble, ImportError) and str(trouble.name).partition(".")[0] in ("logly", "importlib")
        if not is_missing and sys.stderr is not None:
            text = "{}: {}".format(type(trouble).__name__, trouble)
            sys.stderr.write("logly run: nothing was installed: " + " ".join(text.split()) + "\n")


def run_next():
    places = [i for i, path in enumerate(sys.path) if os.path.abspath(path or os.curdir) == HERE]
    before = sys.path[:]
    sys.path[:] = [path for i, path in enumerate(before) if i not in places]
    # The import system keeps what is in sys.modules when this file ends. If there is no other sitecustomize, or it fails,
    # the exception leaves this file as well: `site` then says what it says without logly, and keeps no module.
    del sys.modules["sitecustomize"]
    try:
        import sitecustomize
    finally:
        # Children may be given this path, and find this file again.
        for i in places:
            sys.path.insert(i, before[i])


begin()
run_next()
