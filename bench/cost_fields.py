"""What do four structured fields, written as JSON, cost the caller?"""

from harness import main_percall

if __name__ == "__main__":
    main_percall("fields")
