"""What may be written after `%%nosana` and `%nosana`."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nosana_jupyter.errors import UsageError
from nosana_jupyter.notebook import grammar
from nosana_jupyter.notebook.asked import cell_of
from nosana_jupyter.notebook.magics import NosanaMagics

ONCE = "--pip, --secret, --data, --save and --env are written once"


def read(line: str) -> dict[str, object]:
    """Return what the cell's grammar reads, without what was not given."""
    options = vars(grammar.cell_grammar().read(line))
    return {name: value for name, value in options.items() if value not in (None, [], False)}


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("", {}),
        ("--vram 16", {"vram": 16.0}),
        ("--vram 16GB", {"vram": 16.0}),
        ("--vram=24GiB", {"vram": 24.0}),
        ("--vram '24 GiB'", {"vram": 24.0}),
        ("--gpu 4090", {"gpu": "4090"}),
        ("--gpu 'RTX A4000'", {"gpu": "RTX A4000"}),
        ('--gpu "RTX A4000"', {"gpu": "RTX A4000"}),
        ("--timeout 90", {"timeout": 90}),
        ("--timeout 90s", {"timeout": 90}),
        ("--timeout 30m", {"timeout": 1800}),
        ("--timeout 2h", {"timeout": 7200}),
        ("--timeout 1h30m", {"timeout": 5400}),
        ("--max-cost 0.5", {"max_cost": "0.5"}),
        ("--max-cost '0.2 NOS'", {"max_cost": "0.2 NOS"}),
        ('--max-cost "0.2 NOS"', {"max_cost": "0.2 NOS"}),
        ("--max-cost $0.10", {"max_cost": "$0.10"}),
        ("--max-cost '0.10 USD'", {"max_cost": "0.10 USD"}),
        ("--verify 2", {"verify": 2}),
        ("--verify 3 --tolerance 1e-4", {"verify": 3, "tolerance": "1e-4"}),
        ("--market nvidia-3060", {"market": "nvidia-3060"}),
        ("--image docker.io/x/y:1", {"image": "docker.io/x/y:1"}),
        ("--pip tqdm", {"pip": ["tqdm"]}),
        ("--deps all", {"deps": "all"}),
        ("--secret PIP_INDEX_URL --secret HF_TOKEN", {"secret": ["PIP_INDEX_URL", "HF_TOKEN"]}),
        ("--pip tqdm --pip 'numpy>=2'", {"pip": ["tqdm", "numpy>=2"]}),
        ("--pip git+https://x/y#egg=z", {"pip": ["git+https://x/y#egg=z"]}),
        ("--in a,b", {"takes": ("a", "b")}),
        ("--in 'a, b'", {"takes": ("a", "b")}),
        ("--out c,d", {"returns": ("c", "d")}),
        ("--out ''", {"returns": ()}),
        ("--env K=V", {"env": [("K", "V")]}),
        ("--env K=", {"env": [("K", "")]}),
        ("--env K=a=b --env 'L=x y'", {"env": [("K", "a=b"), ("L", "x y")]}),
        ("--dry-run", {"dry_run": True}),
        ("--yes --yes", {"yes": True}),
        ("--vram 8 GB", {"vram": 8.0}),
        ("--gpu RTX A4000 --vram=16 GiB", {"gpu": "RTX A4000", "vram": 16.0}),
        ("--timeout 30 m", {"timeout": 1800}),
        ("--timeout 1 h 30 min --yes", {"timeout": 5400, "yes": True}),
        ("--max-cost 0.2 NOS", {"max_cost": "0.2 NOS"}),
        ("--max-cost $ 0.10", {"max_cost": "$ 0.10"}),
        ("--max-cost none", {"max_cost": "none"}),
        ("--in a, b", {"takes": ("a", "b")}),
        ("--vram 16  # a large card, isn't it", {"vram": 16.0}),
        ("  --vram 16\t--dry-run  ", {"vram": 16.0, "dry_run": True}),
    ],
)
def test_options_are_read(line: str, expected: dict[str, object]) -> None:
    """
    Every option, in humane units, quoted or not, with an equals sign or not.
    """
    assert read(line) == expected


def test_a_variable_may_be_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    `--env NAME` takes the value that this process has.
    """
    monkeypatch.setenv("SOME_TOKEN", "x=y")
    monkeypatch.delenv("NO_TOKEN", raising=False)

    assert read("--env SOME_TOKEN") == {"env": [("SOME_TOKEN", "x=y")]}
    with pytest.raises(UsageError, match="no such variable") as caught:
        read("--env NO_TOKEN")
    assert caught.value.hint == "Write --env NO_TOKEN=VALUE."


@pytest.mark.parametrize(
    ("line", "says", "hint"),
    [
        ("--vrm 16", "there is no option --vrm", "Did you mean --vram?"),
        ("--vrm=16", "there is no option --vrm", "Did you mean --vram?"),
        ("-vram 16", "there is no option -vram", "Did you mean --vram?"),
        ("--time 30m", "there is no option --time", "Did you mean --timeout?"),
        ("--maxcost 1", "there is no option --maxcost", "Did you mean --max-cost?"),
        ("--max_cost 1", "there is no option --max_cost", "Did you mean --max-cost?"),
        ("--dryrun", "there is no option --dryrun", "Did you mean --dry-run?"),
        ("--VRAM 16", "there is no option --VRAM", "Did you mean --vram?"),
        ("--zzzzzz", "there is no option --zzzzzz", "Options are --vram, --gpu"),
        ("-x", "there is no option -x", "Options are --vram, --gpu"),
        ("--vram", "--vram needs a value", "Write --vram GIB: GPU memory: 16, 16GB"),
        ("--vram --gpu 4090", "--vram needs a value", "Write --vram GIB"),
        ("--timeout -5m", "--timeout: '-5m' is not a duration", "Write it as 90s"),
        ("--vram -8", "'-8' is not an amount of memory", "Write it as 16"),
        ("--max-cost -1", "'-1' is not an amount of money", "Write 0.2"),
        ("--max-cost=-$1", "'-$1' is not an amount of money", "Write 0.2"),
        ("--image 'not an image!!'", "'not an image!!' is not the name of an image", "Write"),
        ("--vram ''", "'' is not an amount of memory", "Write it as 16, 16GB or 512MB."),
        ("--vram much", "--vram: 'much' is not an amount of memory", "Write it as 16"),
        ("--vram 0", "'0' is not an amount of memory", "Write it as 16"),
        ("--vram 16 --vram 24", "--vram is given twice", "Leave one out."),
        ("--vram 16 --vram=24", "--vram is given twice", "Leave one out."),
        ("--timeout soon", "'soon' is not a duration", "Write it as 90s"),
        ("--timeout 0", "'0' is not a duration", "Write it as 90s"),
        ("--timeout 30 m please", "'30 m please' is not a duration", "Write it as 90s"),
        ("--timeout 999999h", "'999999h' is longer than ten years", "Write it as 90s"),
        ("--max-cost lots", "--max-cost: 'lots' is not an amount of money", "Write 0.2"),
        ("--max-cost 0.0000001", "is finer than 0.000001 NOS", "Round it"),
        ("--in a,1b", "--in: '1b' is not a name", "Write names as in a,b,c."),
        ("--out a.b", "'a.b' is not a name", "Write names as in a,b,c."),
        ("--env 1=2", "--env '1=2' names no variable", "Write --env NAME=VALUE."),
        ("--env =2", "--env '=2' names no variable", "Write --env NAME=VALUE."),
        ("--dry-run=no", "--dry-run takes no value", "Write --dry-run alone."),
        ("--yes no", "'no' is not understood", ONCE),
        ("fast please", "'fast' is not understood", "What runs is written below this line. "),
        ("--verify 0", "--verify: '0' is no number of hosts from 1 to 5", "Write it as 2 or 3."),
        (
            "--pip numpy pandas",
            "'pandas' is not understood",
            "--pip, --secret, --data, --save and --env are written once",
        ),
        ("--gpu 'RTX", "No closing quotation", "Close the quotes."),
        ('--gpu "RTX', "No closing quotation", "Close the quotes."),
    ],
)
def test_what_is_wrong_is_named(line: str, says: str, hint: str) -> None:
    """
    A typo names the nearest option; a wrong value says how it is written; nothing is guessed.
    """
    with pytest.raises(UsageError) as caught:
        read(line)

    assert says in str(caught.value)
    assert caught.value.hint.startswith(hint)


def test_commands_are_read() -> None:
    """
    The first word of a line is the command; a typo names the nearest.
    """
    assert grammar.split_command("") == ("", "")
    assert grammar.split_command("  jobs   5 ") == ("jobs", "5")
    assert grammar.split_command("config max_cost '0.2 NOS'") == ("config", "max_cost '0.2 NOS'")
    assert grammar.split_command("# where am I") == ("", "")
    assert grammar.split_command("jobs 5  # the newest") == ("jobs", "5")
    assert grammar.split_command("stop 'abc'") == ("stop", "abc")
    near_of = {"jbs": "jobs", "receipt": "receipts", "swep": "sweep", "JOBS": "jobs"}
    for wrong, near in near_of.items():
        with pytest.raises(UsageError, match=f"no command '{wrong}'") as caught:
            grammar.split_command(wrong)
        assert caught.value.hint == f"Did you mean %nosana {near}?"
    with pytest.raises(UsageError) as caught:
        grammar.split_command("--vram 16")
    assert caught.value.hint == "Did you mean %%nosana --vram 16? Options stand above a cell."
    with pytest.raises(UsageError) as caught:
        grammar.split_command("history")
    assert caught.value.hint.startswith("Commands are jobs, ")


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("sweep now", "now"), ("jobs 5 6", "6"),
        ("help jobs now", "now"), ("network a b c d please", "please"), ("stop a b", "b"),
    ],
)  # fmt: skip
def test_words_too_many_are_refused(line: str, word: str) -> None:
    """
    What a command does not take is not passed over in silence.
    """
    with pytest.raises(UsageError, match=f"does not take '{word}'") as caught:
        grammar.split_command(line)

    assert caught.value.hint.startswith(f"%nosana {line.split()[0]}: ")


def test_every_command_is_done() -> None:
    """
    What the list of commands names, the magics can do; the help names all of it.
    """
    for name in grammar.COMMANDS:
        assert callable(getattr(NosanaMagics, f"do_{name or 'status'}"))
        assert f"    {name or '(none)'} " in grammar.manual()
    for action in grammar.cell_grammar()._actions:
        assert action.help
        assert f"    {action.option_strings[0]} " in grammar.manual()


def test_quotes_and_markets_share_options() -> None:
    """
    `quote` and `markets` take what of the cell's options is about them.
    """
    assert grammar.quote_grammar().read("--vram 16 --timeout 90s").timeout == 90
    assert grammar.market_grammar().read("--gpu 4090").gpu == "4090"
    with pytest.raises(UsageError, match="no option --timeout"):
        grammar.market_grammar().read("--timeout 90s")


WORDS = st.sampled_from(
    [*(f"--{name}" for name in "vram gpu timeout max-cost pip in out env dry-run yes".split()),
     "--", "-", "=", "'", '"', "\\\\", "#", "16GB", "30m", "$1", "a,b", "K=V", "-1", "٣", "1e5",
     "9" * 5000, "@file", "--vram=", "-?", "\\x00", "%(prog)s", "{}"]
)  # fmt: skip


@given(st.lists(WORDS | st.text(max_size=12), max_size=8).map(" ".join) | st.text())
def test_no_line_breaks_the_parser(line: str) -> None:
    """
    Whatever is typed is either read, or a UsageError that says what is wrong.
    """
    for parse in (
        grammar.cell_grammar().read,
        grammar.quote_grammar().read,
        grammar.market_grammar().read,
        grammar.split_command,
        grammar.split,
    ):
        with contextlib.suppress(UsageError):
            parse(line)


def test_a_comparison_is_not_detached() -> None:
    """What compares results lives in this kernel: a cell that goes on without it is refused."""
    options = grammar.cell_grammar().read("--verify 2 --detach")
    with pytest.raises(UsageError, match="--detach lets the cell go on without it"):
        cell_of(options, source="x = 1", namespace={})


def test_commands_of_a_terminal_are_named() -> None:
    """What there is in a terminal alone is said so, beside what is nearest here."""
    with pytest.raises(UsageError) as caught:
        grammar.split_command("host check")
    assert caught.value.hint == "Did you mean %nosana hosts? In a terminal: nosana-jupyter host"
