"""Make the sample trace: a morning of three teams, where the order in which runs start decides who waits.

    .venv/bin/python examples/traces/make.py

shop sends small unit tests all the time. payments sends every test it has at nine, when its release is cut. browser
needs half a machine for each of its few runs. The seed is fixed, so that the files are the same each time.
"""

from collections.abc import Iterator
from pathlib import Path
from random import Random

HERE = Path(__file__).parent
HOUR = 3600
Row = tuple[float, float, int, int, int, int, str, str]
COLUMNS = "submit_seconds,duration_seconds,cpu_milli,memory_mib,gpu,priority,team,user"


def shop(random: Random) -> Iterator[Row]:
    """Yield unit tests and integration tests, evenly over three hours."""
    for _ in range(900):
        cpu, memory, mean = random.choice([(500, 512, 90), (1000, 1024, 150), (2000, 2048, 300)])
        user = f"shop-{random.randint(1, 12)}"
        yield random.uniform(0, 3 * HOUR), took(random, mean), cpu, memory, 0, 5, "shop", user


def payments(random: Random) -> Iterator[Row]:
    """Yield a release: everything at once, after an hour, urgent at first."""
    for number in range(400):
        priority = 2 if number < 40 else 6
        submit = HOUR + random.uniform(0, 300)
        yield submit, took(random, 240), 1500, 3072, 0, priority, "payments", f"payments-{number % 5}"


def browser(random: Random) -> Iterator[Row]:
    """Yield end-to-end runs that need half a node each."""
    for _ in range(50):
        submit = random.uniform(0.2 * HOUR, 2.6 * HOUR)
        yield submit, took(random, 300), 8000, 12288, 0, random.choice([3, 5]), "browser", "browser-1"


def took(random: Random, mean: float) -> float:
    """Return a duration: most are near the mean, some take several times as long."""
    return max(5.0, random.lognormvariate(0, 0.6) * mean)


def main() -> None:
    """Write both files beside this one."""
    random = Random(2026)
    rows = sorted([*shop(random), *payments(random), *browser(random)])
    lines = [f"{submit:.1f},{seconds:.1f},{','.join(map(str, rest))}" for submit, seconds, *rest in rows]
    (HERE / "morning.csv").write_text("\n".join([COLUMNS, *lines]) + "\n")
    nodes = [
        "name,cpu_milli,memory_mib,labels,count",
        "large,16000,32768,topology.kubernetes.io/zone=a;disk=ssd,3",
        "small,8000,16384,topology.kubernetes.io/zone=b,2",
    ]
    (HERE / "nodes.csv").write_text("\n".join(nodes) + "\n")


if __name__ == "__main__":
    main()
