"""The daemon: it ticks, listens to signals, tells the service manager and monitoring how it is, and holds no logic."""

from retentiond.service.daemon import Daemon, Instances
from retentiond.service.desk import CarryOut
from retentiond.service.notify import ServiceManager

__all__ = ["CarryOut", "Daemon", "Instances", "ServiceManager"]
