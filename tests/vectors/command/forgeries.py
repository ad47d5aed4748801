"""Messages that each fail exactly one check, with the reason the hub must give, and a few that must pass."""

from __future__ import annotations

from tests.vectors.command import forged_chain, forged_form, forged_orders, forged_rights
from tests.vectors.command.case import Case

CASES: dict[str, Case] = {
    **forged_form.good(),
    **forged_form.unreadable(),
    **forged_form.footing(),
    **forged_chain.chains(),
    **forged_chain.signatures(),
    **forged_rights.audience_and_time(),
    **forged_rights.rights(),
    **forged_rights.hosts(),
    **forged_orders.good_orders(),
    **forged_orders.orders(),
    **forged_orders.approvals(),
}
