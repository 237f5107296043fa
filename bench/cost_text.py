"""What does a constant message of 24 characters cost the caller?"""

from harness import main_percall

if __name__ == "__main__":
    main_percall("text")
