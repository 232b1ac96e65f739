"""RemoteFiles: the addresses among the inputs and the output of one command, and their copies."""

from dataclasses import replace
from pathlib import Path

from stream.addresses import shown
from stream.offline.jobs import Job, Outcome
from stream.offline.options import RestyleOptions
from stream.offline.remote import deliver, fetch, forget, is_remote, local_output
from stream.sinks.base import NULL


class RemoteFiles:
    """Fetches inputs, delivers outputs, and removes the copies of what is done."""

    def __init__(self) -> None:
        self._addresses: dict[str, str] = {}
        self._output: str | None = None

    def as_local(self, asked: RestyleOptions) -> RestyleOptions:
        """The options with copies in the place of addresses.

        Raises:
            SourceError: An input cannot be had.
            SinkError: The output is there already, or its address cannot be used.
        """
        output = asked.output
        if is_remote(output):
            self._output = output
            output = local_output(output, overwrite=asked.overwrite)
        for spec in asked.inputs:
            if is_remote(spec):
                self._addresses[str(fetch(spec))] = spec
        copies = {address: copy for copy, address in self._addresses.items()}
        return replace(asked, inputs=[copies.get(one, one) for one in asked.inputs], output=output)

    def delivered(self, outcome: Outcome) -> Outcome:
        """What became of a job, at its addresses.

        Raises:
            SinkError: The output cannot be written there; it stays here.
        """
        source, sink = outcome.job.source, outcome.job.sink
        address = self._addresses.get(source)
        target = sink
        if self._output is not None and sink != NULL and Path(sink).is_file():
            target = deliver(Path(sink), self._output)
            if not outcome.interrupted:
                Path(sink).unlink()
        if address is not None and not outcome.interrupted:
            forget(address)
        job = Job(source if address is None else shown(address), shown(target))
        return replace(outcome, job=job)
