// VITALD_SANITIZED: built with AddressSanitizer or ThreadSanitizer, whose shadow memory counts as data and whose signal
// handlers would turn a module's crash into an exit.
#pragma once

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define VITALD_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define VITALD_SANITIZED 1
#endif
#endif
