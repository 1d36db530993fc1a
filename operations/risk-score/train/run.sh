#!/usr/bin/env bash
# Retrains the model of $risk-score: makes .venv, trains, writes the model folder beside this one.
# Usage: run.sh [folder of the data]   (default ../shared/data/icu2012 beside the repository)
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../../.." && pwd)
data=${1:-$root/../shared/data/icu2012}
if [[ ! -f $data/set-a.csv.gz ]]; then
  echo "No training data at $data: pass the folder that holds set-a.csv.gz and set-b-half.csv.gz." >&2
  exit 1
fi
python=$(command -v python3.11 || command -v python3) || { echo "Python 3.11 is needed: apt-get install python3 python3-venv" >&2; exit 1; }
if ! "$root/.venv/bin/python" -c 'import sklearn, onnx, onnxruntime, pandas' 2>/dev/null; then
  "$python" -m venv "$root/.venv"
  "$root/.venv/bin/pip" install --quiet --requirement "$here/requirements.txt"
fi
# One thread: sums come out in the same order, so the same data gives the same model.
export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1
exec "$root/.venv/bin/python" "$here/train.py" --data "$data" --out "$here/.." --test
