"""What a reader needs to compare figures: the machine, this process's memory, percentiles."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable
from pathlib import Path


def resident_bytes() -> int:
    """Resident memory of this process now (peak, where the platform tells no more)."""
    try:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def percentiles(values: Iterable[float]) -> dict[str, float]:
    ordered = sorted(values)
    last = len(ordered) - 1
    shares = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p99.9": 0.999, "max": 1.0}
    return {name: float(ordered[round(share * last)]) for name, share in shares.items()}


def machine() -> dict[str, str]:
    """Processor, cores, kernel, Python, clock. No names of hosts or paths."""
    facts = {
        "cpu": platform.processor() or platform.machine(),
        "cores": str(os.cpu_count()),
        "kernel": f"{platform.system()} {platform.release().split('-')[0]}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "compiler": platform.python_compiler(),
    }
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                facts["cpu"] = line.split(":", 1)[1].strip()
                break
        memory = Path("/proc/meminfo").read_text().split(None, 2)[1]
        facts["memory"] = f"{int(memory) / 1048576:.0f} GiB"
        source = Path("/sys/devices/system/clocksource/clocksource0/current_clocksource")
        facts["clock source"] = source.read_text().strip()
    except OSError:
        pass
    return facts


def pyperf_facts() -> dict[str, str]:
    """What pyperf knows of the machine; nothing with a path or a host name."""
    import pyperf

    known = pyperf.Run([1.0]).get_metadata()
    names = {"perf_version": "pyperf", "aslr": "address randomization", "cpu_config": "processor settings"}
    names |= {"cpu_freq": "processor frequency", "load_avg_1min": "load before the run"}
    return {title: str(known[name]) for name, title in names.items() if name in known}
