#pragma once

// The only include of napi.h, so that these settings always precede it.

// Errors of Node-API become exceptions, and all exceptions that reach the boundary become JavaScript errors: also that
// of memory running out, which would end the process.
#define NODE_ADDON_API_CPP_EXCEPTIONS
#define NODE_ADDON_API_CPP_EXCEPTIONS_ALL

// A worker that is being terminated cannot take an exception any more; it must not abort the process.
#define NODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS

// Electron's V8 sandbox forbids array buffers that point to native memory. This hides the functions that would make
// one.
#define NODE_API_NO_EXTERNAL_BUFFERS_ALLOWED

#include <napi.h>
