"""Tests that what the documentation advises for Kubernetes holds."""

from __future__ import annotations

import os
import subprocess
import time
import unittest
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml

from segment_logging._options.delivery import DeliveryOptions
from segment_logging.cli import service

from .pages import PAGES, blocks, pod_of


def pods() -> list[Any]:
    """Return the specification of each pod in the documentation."""
    found = [yaml.safe_load(one.text) for one in blocks("yaml") if "apiVersion" in one.text]
    return [pod_of(one) for one in found]


class TestProbes(unittest.TestCase):
    def test_by_age(self) -> None:
        """Each probe succeeds while the liveness file is fresh, and fails if it is old or missing.
        The command of the container writes that file."""
        containers = [
            one
            for pod in pods()
            for one in (*pod.get("initContainers", ()), *pod["containers"])
            if "livenessProbe" in one
        ]
        self.assertEqual(len(containers), 2)
        for container in containers:
            command = container["command"]
            path = command[command.index("--liveness-file") + 1]
            with self.subTest(command[1]), TemporaryDirectory() as directory:
                alive = Path(directory, "alive")
                probe = [
                    word.replace(path, str(alive))
                    for word in container["livenessProbe"]["exec"]["command"]
                ]
                self.assertNotEqual(self.code_of(probe), 0)
                alive.touch()
                self.assertEqual(self.code_of(probe), 0)
                os.utime(alive, (time.time() - 90,) * 2)
                self.assertNotEqual(self.code_of(probe), 0)

    def test_in_memory(self) -> None:
        """Each liveness file is in a volume in memory, which a full disk does not affect."""
        for pod in pods():
            in_memory = {
                one["name"]
                for one in pod.get("volumes", ())
                if (one.get("emptyDir") or {}).get("medium") == "Memory"
            }
            for container in (*pod.get("initContainers", ()), *pod["containers"]):
                if "livenessProbe" not in container:
                    continue
                command = container["command"]
                path = Path(command[command.index("--liveness-file") + 1])
                mounted = {one["mountPath"]: one["name"] for one in container["volumeMounts"]}
                with self.subTest(command[1]):
                    self.assertIn(mounted[str(path.parent)], in_memory)

    def code_of(self, probe: list[str]) -> int:
        return subprocess.run(probe, stderr=subprocess.DEVNULL, check=False).returncode


class TestSidecar(unittest.TestCase):
    def test_time(self) -> None:
        """The grace period is what the page says it is made of."""
        (pod,) = (one for one in pods() if "initContainers" in one)
        (sidecar,) = pod["initContainers"]
        command = sidecar["command"]
        linger = float(command[command.index("--linger") + 1])
        stop = service.STOP_SECONDS + 1
        programs = pod["terminationGracePeriodSeconds"] - linger - stop
        text = " ".join(PAGES["docs/one-host.md"].split())
        self.assertIn(f"and {stop:.0f} s for the request under way", text)
        self.assertIn(f"the programs have {programs:.0f} s", text)
        self.assertIn(f"stuck for {service.STUCK_AFTER / 60:.0f} minutes", text)

    def test_shared(self) -> None:
        """Sidecar and program run as the same user, and share the directory."""
        (pod,) = (one for one in pods() if "initContainers" in one)
        self.assertIn("runAsUser", pod["securityContext"])
        directory = pod["initContainers"][0]["command"][2]
        for container in (*pod["initContainers"], *pod["containers"]):
            self.assertNotIn("securityContext", container)
            self.assertIn(directory, [one["mountPath"] for one in container["volumeMounts"]])

    def test_keys(self) -> None:
        """Every program in a pod has the write key, also if a sidecar delivers for it."""
        containers = [one for pod in pods() for one in pod["containers"]]
        programs = [one for one in containers if one.get("command", [""])[0] != "segment-logging"]
        self.assertEqual(len(programs), 3)
        for container in programs:
            self.assertIn("SEGMENT_WRITE_KEY", [one["name"] for one in container["env"]])

    def test_size(self) -> None:
        """A volume half again as large as the journal has room for all that is kept there."""
        given = DeliveryOptions(journal="/nowhere")
        quarantine = given.max_journal_bytes / 10
        total = given.max_journal_bytes + quarantine + given.max_dead_letter_bytes
        self.assertLess(total, 1.5 * given.max_journal_bytes)
