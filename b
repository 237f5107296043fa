#!/usr/bin/env bash
cd "$(dirname "$0")"; LOGLY_BUILD=${LOGLY_BUILD-probe,quick} /work/main/.venv/bin/python setup.py build_ext --inplace > build.log 2>&1 || { tail -30 build.log; exit 1; }
