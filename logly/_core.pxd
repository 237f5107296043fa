"""The compiled logger: what Cython code that cimports logly may use. Each class stands beside the file that defines it."""

include "layout/compile.pxd"
include "caller/fields.pxd"
include "control/core.pxd"
include "caller/calls.pxd"
