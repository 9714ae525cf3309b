#pragma once

// The only include of napi.h, so that these settings always precede it.

// Errors of Node-API become exceptions, and all exceptions that reach the boundary become JavaScript errors. That
// includes std::bad_alloc, which would end the process otherwise.
#define NODE_ADDON_API_CPP_EXCEPTIONS
#define NODE_ADDON_API_CPP_EXCEPTIONS_ALL

// A worker that is being terminated can no longer throw in JavaScript; that must not abort the process.
#define NODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS

// Electron's V8 sandbox forbids array buffers that point to native memory. This hides the functions that create them.
#define NODE_API_NO_EXTERNAL_BUFFERS_ALLOWED

#include <napi.h>
