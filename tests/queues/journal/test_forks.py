"""Tests for the journal in forked children."""

from __future__ import annotations

from typing import Any

from tests.builders import run_python
from tests.queues.cases import (
    JournalCase,
)


class ForkTest(JournalCase):
    """A journal whose process forks."""

    def test_the_childs_end_does_not_end_the_parents_ownership(self) -> None:
        """A child that abandons the queue takes none of the parent's messages, and its exit does
        not release the parent's lock."""
        program = f"""
import json, os
from tests.queues.cases import a_journal, a_line, taken_from
journal = a_journal({str(self.root)!r})
journal.put(a_line(1))
child = os.fork()
if child == 0:
    journal.abandon()
    own = a_journal({str(self.root)!r})
    own.put(a_line(2))
    own.look_around()
    os._exit(len(taken_from(own)))
_, status = os.waitpid(child, 0)
another = a_journal({str(self.root)!r})
another.look_around()
adopted = len(taken_from(another))
journal.put(a_line(3))
print(json.dumps([os.waitstatus_to_exitcode(status), adopted, len(taken_from(journal))]))
"""
        self.assertEqual(run_python(program), [1, 0, 2])

    def adopted_beside_a_child(self, own: str, let_go: str) -> Any:
        """Return how many messages of a dead process, which ran `own`, are adopted while its child,
        which ran `let_go`, is alive."""
        program = f"""
import json, os
from segment_logging._queues.journal.directory import JournalDirectory
from segment_logging._queues.journal.place import Place
from tests.queues.cases import KEY, a_journal, a_line, taken_from
told, tell = os.pipe()
middle = os.fork()
if middle == 0:
    {own}
    ready, done = os.pipe()
    if os.fork() == 0:
        os.close(ready)
        {let_go}
        os.write(done, b"!")
        os.close(tell)
        os.read(told, 1)
        os._exit(0)
    os.read(ready, 1)
    os._exit(0)
os.close(told)
os.waitpid(middle, 0)
another = a_journal({str(self.root)!r})
another.look_around()
print(json.dumps(len(taken_from(another))))
os.close(tell)
"""
        return run_python(program)

    def test_a_child_does_not_outlive_the_parents_ownership(self) -> None:
        """A dead parent's directory can be adopted while its child, which abandoned the queue, is
        still alive."""
        own = f"journal = a_journal({str(self.root)!r}); journal.put(a_line(1))"
        self.assertEqual(self.adopted_beside_a_child(own, "journal.abandon()"), 1)

    def test_a_lock_on_its_way(self) -> None:
        """A child also closes the lock of a directory that another thread was just creating."""
        own = (
            f"directory = JournalDirectory.make(Place({str(self.root)!r}, KEY)); "
            "os.write(directory.new_file().descriptor, a_line(1) + bytes([10]))"
        )
        self.assertEqual(self.adopted_beside_a_child(own, "pass"), 1)  # the fork itself closes it
