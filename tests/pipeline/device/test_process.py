import platform
import subprocess
import sys

import pytest


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc is configured to keep freed memory")
def test_freed_memory_is_not_faulted_in_again_in_any_thread():
    script = """
import resource, threading
import run_pipeline
def print_faults_of_tensors():
    import numpy
    for size in (2**20, 2**20, 2**22, 2**22, 2**24, 2**24):
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        numpy.ones(size)
        print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
run_pipeline.app = threading.Thread(target=print_faults_of_tensors).start
run_pipeline.main()
"""
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    faults = list(map(int, result.stdout.split()))
    assert all(second < first / 10 for first, second in zip(faults[0::2], faults[1::2], strict=True)), faults


def test_memory_is_configured_before_torch_is_imported():
    script = """
import sys
import run_pipeline
run_pipeline.app = lambda: print({"torch", "numpy", "cv2", "pyvips"} & set(sys.modules))
run_pipeline.main()
"""
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "set()"


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc is configured to keep freed memory")
def test_kept_memory_is_given_back_on_request():
    script = """
from pathlib import Path
import numpy
from pipeline.device.process import give_back_freed_memory, keep_freed_memory
keep_freed_memory()
def pages():
    return int(Path("/proc/self/statm").read_text().split()[1])
numpy.ones(2**23)
kept = pages()
give_back_freed_memory()
print((kept - pages()) * 4096 / 2**20)
"""
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert float(result.stdout) > 60


@pytest.mark.parametrize(("ending", "code"), [("sys.exit(3)", 3), ("sys.exit()", 0), ("1 / 0", 1), ("pass", 0)])
def test_a_process_ends_without_freeing_but_with_all_else(ending: str, code: int) -> None:
    script = f"""
import atexit, sys, threading, time
from pipeline.device.process import ended_without_freeing
class Held:
    def __del__(self): print("freed", flush=True)
held = Held()
with ended_without_freeing():
    atexit.register(print, "handled")
    threading.Thread(target=lambda: (time.sleep(0.05), print("waited"))).start()
    {ending}
"""
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout.split()) == (code, ["waited", "handled"])
