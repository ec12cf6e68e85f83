"""No pickle and nothing like it, no code out of text, no shell, no certificate unchecked; and each is noticed."""

from __future__ import annotations

from pathlib import Path

import pytest

from agents.delivery.faust_settings import faust_settings
from agents.settings import AgentSettings
from tests.project.tree import modules, text_of
from tests.project.unsafe import unsafe

OURS = [path for path in modules() if path.parts[0] != "tests"]


def test_nothing_of_ours_makes_code_or_objects_out_of_bytes_or_gives_up_a_check() -> None:
    faults = [fault for path in OURS for fault in unsafe(path, text_of(path))]
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "import _pickle as fast",
        "from pickle import loads",
        "import marshal",
        "import shelve",
        "import dill",
        "import cloudpickle",
        "import jsonpickle",
        "import joblib",
        "from importlib import import_module\nimport_module('pickle')",
        "__import__('marshal')",
        "import multiprocessing",
        "from multiprocessing import Queue",
        "import multiprocessing.connection",
        "from concurrent.futures import ProcessPoolExecutor",
        "import concurrent.futures\nconcurrent.futures.ProcessPoolExecutor()",
        "import yaml\nyaml.load(text)",
        "import yaml\nyaml.load(text, Loader=yaml.FullLoader)",
        "import yaml as y\ny.load(text, y.UnsafeLoader)",
        "import yaml\nyaml.load_all(text, Loader=chosen)",
        "import yaml\nclass Own(yaml.Loader): ...\nyaml.load(text, Own)",
        "import yaml\nyaml.unsafe_load(text)",
        "from yaml import full_load",
        "eval(text)",
        "exec(text)",
        "run = exec",
        "compile(text, 'x', 'exec')",
        "import builtins\nbuiltins.eval(text)",
        "import numpy as np\nnp.load(file)",
        "numpy_load(file, allow_pickle=True)",
        "import pandas as pd\npd.read_pickle(file)",
        "frame.to_pickle(file)",
        "import polars as pl\npl.LazyFrame.deserialize(file)",
        "import subprocess\nsubprocess.run(line, shell=True)",
        "import subprocess\nsubprocess.getoutput(line)",
        "import os\nos.system(line)",
        "from os import popen",
        "import asyncio\nasyncio.create_subprocess_shell(line)",
        "import requests\nrequests.get(url, verify=False)",
        "import httpx\nhttpx.Client(verify=False)",
        "context.check_hostname = False",
        "import ssl\ncontext.verify_mode = ssl.CERT_NONE",
        "import tempfile\ntempfile.mktemp()",
        "app.topic(name, value_serializer='pickle')",
        "settings = {'value_serializer': 'pickle'}",
        "app.Table('counts')",
    ],
)
def test_each_of_them_is_noticed(source: str) -> None:
    assert unsafe(Path("x.py"), source)


@pytest.mark.parametrize(
    "source",
    [
        "import re\nre.compile(text)",
        "compiler.compile(tree)",
        "import polars as pl\npl.element().list.eval(inside)",
        "import yaml\nyaml.load(text, Loader=yaml.CSafeLoader)",
        "import yaml\nclass Own(yaml.SafeLoader): ...\nyaml.load(text, Own)",
        "import yaml\nyaml.safe_load(text)",
        "import subprocess\nsubprocess.run(words, shell=False)",
        "from concurrent.futures import ThreadPoolExecutor",
        "import json\njson.load(file)",
        "settings = {'value_serializer': 'raw'}",
    ],
)
def test_what_only_looks_like_it_is_let_be(source: str) -> None:
    assert not unsafe(Path("x.py"), source)


def test_faust_hands_on_bytes_and_is_told_so_of_every_topic() -> None:
    """Were a topic's type left out, the serializer of the settings would be asked."""
    settings = faust_settings("name", AgentSettings(kafka="127.0.0.1:9092", clickhouse="clickhouse://127.0.0.1"))
    assert (settings["key_serializer"], settings["value_serializer"]) == ("raw", "raw")
    (faust_app,) = (path for path in OURS if path.name == "faust_app.py")
    topics = [line for line in text_of(faust_app).splitlines() if "app.topic(" in line]
    assert topics
    assert all("key_type=bytes, value_type=bytes" in line for line in topics)
