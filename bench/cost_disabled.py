"""What does a call below the threshold cost?"""

from harness import main_percall

if __name__ == "__main__":
    main_percall("disabled")
