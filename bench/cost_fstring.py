"""What does a message that the caller has formatted cost?"""

from harness import main_percall

if __name__ == "__main__":
    main_percall("fstring")
