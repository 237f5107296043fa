"""How does the caller's cost grow with the message, from 16 bytes to 64 KiB?"""

from harness import main_percall

SIZES = [16, 64, 256, 1024, 4096, 16384, 65536]

if __name__ == "__main__":
    main_percall("size", {str(size): "<size>".ljust(size, "x") for size in SIZES})
