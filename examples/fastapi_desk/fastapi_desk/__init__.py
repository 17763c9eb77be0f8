"""A help desk on FastAPI and SQLAlchemy: `cases` is the file that calls casestate, the README says the rest."""
