"""FAISS files in and out of a server, against FAISS itself.

files.py CONNINFO PART. Parts: models, exports, graphs, adoption, rows, refused, timed with a number of rows, and older with the folder of files that older_files.py has
made. What is wrong raises; figures are printed.
"""

import sys

import psycopg

from files_exports import exports
from files_graphs import adoption, graphs
from files_models import models
from files_rows import older, refused, rows
from files_timed import timed

PARTS = {part.__name__: part for part in (models, exports, graphs, adoption, rows, refused, older, timed)}

with psycopg.connect(sys.argv[1], autocommit=True) as connection:
    PARTS[sys.argv[2]](connection)
