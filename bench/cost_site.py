"""What does the default layout with module, function and line cost the caller?"""

from harness import main_percall

if __name__ == "__main__":
    main_percall("site")
