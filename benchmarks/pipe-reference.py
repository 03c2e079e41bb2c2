"""The toy bank by hand: what a person would write instead of a view. Reads JSON lines, prints the total after each batch that changed it."""
import sys
from collections import defaultdict

try:
    from orjson import loads
except ImportError:
    from json import loads

batch = int(sys.argv[1])
credits, debits = defaultdict(int), defaultdict(int)
before = None
for number, line in enumerate(sys.stdin.buffer, 1):
    row = loads(line)
    credits[row["to_account"]] += row["amount"]
    debits[row["from_account"]] += row["amount"]
    if number % batch == 0:
        total = sum(credits[account] - debits[account] for account in credits.keys() | debits.keys())
        if total != before:
            print(total)
        before = total
print("orjson" if loads.__module__ == "orjson" else "json", file=sys.stderr)
