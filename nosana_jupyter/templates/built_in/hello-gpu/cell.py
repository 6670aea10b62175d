import platform
import shutil
import subprocess
import time

print(platform.node(), platform.python_version(), platform.machine())
if shutil.which("nvidia-smi"):
    print(subprocess.run(["nvidia-smi"], capture_output=True, text=True).stdout)
else:
    print("This host has no NVIDIA driver: the matrices are multiplied by its processor.")


def multiply(size):
    """Return the seconds for one product, and where it was made."""
    try:
        import torch
    except ImportError:
        torch = None
    if torch is not None and torch.cuda.is_available():
        left = torch.rand(size, size, device="cuda")
        left @ left  # The first one also loads the library.
        torch.cuda.synchronize()
        began = time.perf_counter()
        left @ left
        torch.cuda.synchronize()
        return time.perf_counter() - began, torch.cuda.get_device_name()
    import numpy

    left = numpy.random.default_rng(0).random((size, size), dtype=numpy.float32)
    left @ left
    began = time.perf_counter()
    left @ left
    return time.perf_counter() - began, platform.processor() or platform.machine()


seconds, device = multiply(size)
print(f"{2 * size**3 / seconds / 1e9:,.0f} GFLOPS on {device}")
