"""One rule per file. Pure: facts and `now` come in, a `Verdict` goes out; a refusal is never an exception."""
