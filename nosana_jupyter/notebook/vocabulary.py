"""
The commands of `%nosana`, and what each is for.
"""

from __future__ import annotations

COMMANDS = {
    "": "where you are: network, wallet, balance, running jobs",
    "jobs": "the newest jobs: jobs [NUMBER]",
    "receipts": "what they cost: receipts [NUMBER], or all of one: receipts JOB; signed, as a file "
    "that others can check: receipts export JOB [--to receipt.json] [--code]",
    "up": "open a session, in which cells keep their state: up [NAME] [--vram 16] [--for 2h]",
    "attach": "bring back a cell or session that goes on: attach [JOB|CELL|NAME] [--peek]",
    "down": "end a session or service, and pay it: down [NAME|--all]",
    "sessions": "what is open: host, time left, cost so far",
    "serve": "a model that answers requests: serve vllm|ollama MODEL, serve IMAGE --port 8000, "
    "each [--vram 16] [--for 2h] [--idle 10m] [--replicas 2]; to end it: down [NAME]",
    "services": "what is served: address, state, requests, cost so far",
    "open": "what --save has sealed: open LINK|CID|NAME [--to NAME|PATH]",
    "stop": "end a job, session or service: stop JOB|NAME",
    "extend": "give a job more time: extend JOB 30m [--yes]",
    "sweep": "settle everything this wallet left behind",
    "wallet": "address, balance, worth; to get one: wallet create [FILE], wallet import [FILE]",
    "swap": "buy NOS, or list swaps: swap [5 USDC|0.1 SOL] [--slippage 0.5%] [--dry-run] [--yes]",
    "fund": "play money: fund [100 NOS|5 USDC|1 SOL]",
    "markets": "cards, prices and free hosts: markets [--vram 16] [--gpu 4090] [--pick]",
    "hosts": "their stakes, and what was seen of them: hosts [--gpu 4090|forgive HOST|report HOST]",
    "stake": "NOS that the wallet has locked: stake [100 --for 30d|extend 30d|unstake|withdraw|"
    "restake|join|claim]",
    "governance": "open proposals of the DAO of NOS, and what the wallet's vote weighs",
    "deps": "packages of this notebook, and what a host gets of them: deps [--pip …] [--deps …]",
    "quote": "what a cell needs and may cost: quote [--cell 7] [--vram 16] [--compare|--pick]",
    "budget": "what each notebook has spent, and what is left: budget [day|month]",
    "template": "work that is ready to be run: template [list|show|use|save|share|import|remove]",
    "network": "networks, and what the chosen one needs: network [local|devnet|mainnet|NAME]; a "
    "team's own: network join [INVITE] [--name lab], network leave NAME",
    "config": "settings: config [NAME [VALUE|--ask|--unset] [--notebook|--project]]",
    "help": "this list, or more on one command: help [COMMAND]",
}
"""What `%nosana` understands, and what each does."""

MOST_WORDS = {
    "": 0, "sweep": 0, "governance": 0, "sessions": 0, "services": 0, "down": 1, "attach": 2,
    "jobs": 1, "stop": 1, "budget": 1, "network": 4, "help": 1,
}  # fmt: skip
"""Most words that a command takes; the others read their own."""
