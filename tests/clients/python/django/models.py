"""The models of the Django project; the script copies them to a folder of their own."""

from django.db import models
from pgvector.django import HalfVectorField, HnswIndex, IvfflatIndex, VectorField


class Item(models.Model):
    n = models.IntegerField()
    kind = models.TextField()
    embedding = VectorField(dimensions=16)
    half = HalfVectorField(dimensions=16, null=True)

    class Meta:
        indexes = [
            HnswIndex(
                name="item_graph", fields=["embedding"], m=16, ef_construction=64, opclasses=["vector_l2_ops"]
            ),
            IvfflatIndex(name="item_lists", fields=["embedding"], lists=10, opclasses=["vector_cosine_ops"]),
            HnswIndex(name="item_halves", fields=["half"], m=16, ef_construction=64, opclasses=["halfvec_l2_ops"]),
        ]
