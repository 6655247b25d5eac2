"""The Breakwater operator: turns McpServer objects into Kubernetes objects and keeps them true."""

import sys
from importlib.util import find_spec, module_from_spec

# The official client loads its synchronous half with everything: 270 modules, a quarter of a second
# of each start and eight megabytes, of which nothing here uses any. So its packages are only
# opened, and who needs a module of them imports that. kopf merely asks it for a class.
# The command line is installed without it.
for _name in ("kubernetes", "kubernetes.aio"):
    if _name in sys.modules:
        continue
    _spec = find_spec(_name)
    if _spec is None:
        break
    sys.modules[_name] = module_from_spec(_spec)
