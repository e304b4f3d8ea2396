"""A loopback proxy that breaks connections, answers and watch streams on purpose.

`FaultProxy` forwards HTTP/1.1 to an API server; a script of rules (which request, the how
manieth, which fault, for how long) says what goes wrong, and `inject` breaks streams that
are open already. Every fault that really acted is in `journal`, so a test can prove that
what it survived did happen. Byte-level faults are in `toxic`, those that know HTTP and
watch lines in `semantic`; names follow Shopify's toxiproxy where it has them.
"""

from support.fault_proxy.fault import Fault
from support.fault_proxy.journal import Entry, Journal
from support.fault_proxy.proxy import FaultProxy, Rule

__all__ = ["Entry", "Fault", "FaultProxy", "Journal", "Rule"]
