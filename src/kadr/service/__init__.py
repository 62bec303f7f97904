"""The service: a REST interface over a library, and the page that uses it.

The event loop parses, checks and answers. Whatever takes longer is done elsewhere: searches and
the library's other work on threads (`pool`), decoding in processes of limited memory (`decoder`).
"""
