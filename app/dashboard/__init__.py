"""Pages for people, under ``/ui``: plain HTML and a little JavaScript over the API that any client uses."""
