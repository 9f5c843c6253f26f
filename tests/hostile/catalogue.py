"""All attacks by name."""

from typing import Final

from tests.hostile.arena import Attack
from tests.hostile.attacks import compress, crowding, floods, guessing, half_open, http, literals, mail, slow

ATTACKS: Final[dict[str, Attack]] = {
    attack.name: attack
    for module in (half_open, slow, floods, literals, mail, compress, guessing, crowding, http)
    for attack in module.ATTACKS
}
