"""What the audit log says is in force, entry by entry: decisions, open requests, opinions."""

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from kadr.types import Request, Ruling


@dataclass(slots=True)
class Replay:
    """The state of photos after the entries that were added, by digest."""

    rulings: dict[str, Ruling] = field(default_factory=dict)
    """Those in force."""
    requests: dict[str, Request] = field(default_factory=dict)
    """Those that nobody has answered."""
    opinions: dict[str, dict[str, str]] = field(default_factory=lambda: defaultdict(dict))
    """Each person's last word: `allow` or `hide`, by name."""
    _before: dict[str, tuple[Request | None, str | None, Ruling | None]] = field(
        default_factory=dict
    )

    def add(self, event: str, facts: Mapping[str, Any]) -> None:
        """Go on by one entry. One that lacks what it must tell changes nothing."""
        steps: dict[str, Callable[[Mapping[str, Any]], None]] = {
            "ruled": self._rule,
            "seconded": self._second,
            "disputed": self._dispute,
            "withdrawn": self._withdraw,
            "appealed": self._appeal,
        }
        if event in steps and {"photo", "who", "when", "why"} <= facts.keys():
            steps[event](facts)

    def before(self, digest: str) -> Ruling | None:
        """What the decision in force replaced."""
        return self._before.get(digest, (None, None, None))[2]

    def _rule(self, facts: Mapping[str, Any]) -> None:
        digest, who = facts["photo"], facts["who"]
        opinion = self.opinions[digest].get(who)
        self._before[digest] = self.requests.pop(digest, None), opinion, self.rulings.get(digest)
        self.rulings[digest] = Ruling(facts["verdict"], who, facts["when"], facts["why"])
        self._second(facts)

    def _second(self, facts: Mapping[str, Any]) -> None:
        self.opinions[facts["photo"]][facts["who"]] = facts["verdict"]

    def _dispute(self, facts: Mapping[str, Any]) -> None:
        self._second(facts)
        self.requests[facts["photo"]] = _request("disputed", facts)

    def _appeal(self, facts: Mapping[str, Any]) -> None:
        if not self._is_disputed(facts["photo"]):
            self.requests[facts["photo"]] = _request("appealed", facts)

    def _withdraw(self, facts: Mapping[str, Any]) -> None:
        digest, opinions = facts["photo"], self.opinions[facts["photo"]]
        request, opinion, ruling = self._before.pop(digest, (None, None, None))
        if not self._is_disputed(digest):
            self.requests.pop(digest, None)
            if facts["undo"] and request is not None:
                self.requests[digest] = request
        self.rulings.pop(digest, None)
        if facts["undo"] and facts["restored"] and ruling is not None:
            self.rulings[digest] = ruling
        if facts["who"] == facts["of"]:
            opinions.pop(facts["who"], None)
            if facts["undo"] and opinion is not None:
                opinions[facts["who"]] = opinion

    def _is_disputed(self, digest: str) -> bool:
        """A dispute stays open until somebody decides it, whatever else is asked or withdrawn."""
        request = self.requests.get(digest)
        return request is not None and request.kind == "disputed"


def _request(kind: str, facts: Mapping[str, Any]) -> Request:
    return Request(kind, facts["who"], facts["when"], facts["why"])
