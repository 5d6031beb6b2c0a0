"""A stand-in for each utility's side of Green Button Connect My Data, run as its own process.

It is written from the utilities' own documents and imports nothing else of this project, so that one misreading
cannot pass on both sides. ``app.py`` says how a platform plugs in.
"""
