"""A help desk on FastAPI and SQLAlchemy. The README says what is what; `cases` calls casestate."""
