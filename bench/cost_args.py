"""What does a message with an int and a float argument cost the caller?"""

from harness import main_percall

if __name__ == "__main__":
    main_percall("args")
