"""One module for each thing that `cost.py` compares in turns: `subjects(bench)` and `FIGURES`. See bench/README.md."""
