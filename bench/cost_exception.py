"""What does a record with a traceback of three frames cost the caller?"""

from harness import main_percall

if __name__ == "__main__":
    main_percall("exception")
