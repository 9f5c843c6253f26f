"""Traffic with other servers, the busiest first."""

from collections.abc import Sequence
from typing import ClassVar, Final

from installer.dashboard import wording
from installer.dashboard.line import MUTED, Line, line
from installer.dashboard.moment import Moment
from installer.dashboard.widgets.panel import Panel

_FIGURE: Final = 9
_NAMES_AT_LEAST: Final = 20


class Peers(Panel):
    """Messages to and from each domain; what was refused only where there is room for it."""

    title: ClassVar[str] = "Other servers"

    def draw(self, moment: Moment, width: int, height: int) -> Sequence[Line]:
        """A small table."""
        peers = moment.snapshot.peers
        if not peers:
            return [line(("No mail to or from other servers yet.", MUTED))]
        titles = ("to", "from", "refused")[: max(1, min(3, (width - _NAMES_AT_LEAST) // _FIGURE))]
        names = width - len(titles) * _FIGURE
        lines = [line((" " * names + "".join(word.rjust(_FIGURE) for word in titles), MUTED))]
        for peer in peers[: height - 1]:
            figures = (peer.delivered_to, peer.received_from, peer.refused_by + peer.refused_from)[: len(titles)]
            columns = "".join(wording.count(figure).rjust(_FIGURE) for figure in figures)
            lines.append(line(shortened(peer.domain, names - 1).ljust(names), columns))
        return lines


def shortened(domain: str, width: int) -> str:
    """The end of a domain says more than its beginning."""
    return domain if len(domain) <= width else "…" + domain[-(width - 1) :]
