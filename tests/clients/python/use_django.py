"""Django with pgvector.django: a migration makes extension, table and indexes; then the query functions."""

import io
import tempfile
from pathlib import Path

import django
from client import *
from django.conf import settings
from django.core.management import call_command

versions("pgvector", "Django")

SHOP = Path(tempfile.mkdtemp()) / "shop"
(SHOP / "migrations").mkdir(parents=True)
(SHOP / "__init__.py").touch()
(SHOP / "migrations/__init__.py").touch()
here = Path(__file__).parent / "django"
(SHOP / "models.py").write_text((here / "models.py").read_text())
(SHOP / "migrations/0001_extension.py").write_text((here / "migration.py").read_text())
sys.path.insert(0, str(SHOP.parent))
settings.configure(
    SECRET_KEY="none",
    INSTALLED_APPS=["django.contrib.postgres", "shop"],
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": DATABASE,
            "USER": USER,
            "PASSWORD": PASSWORD,
            "HOST": HOST,
            "PORT": PORT,
        }
    },
)
django.setup()


def manage(*command: str) -> str:
    """What `python manage.py` prints."""
    out = io.StringIO()
    call_command(*command, stdout=out)
    return out.getvalue()


with step("makemigrations"):
    manage("makemigrations", "shop")
with step("migrate"):
    manage("migrate")

from django.db.models import Avg
from pgvector.django import CosineDistance, L1Distance, L2Distance, MaxInnerProduct
from shop.models import Item

with step("bulk_create"):
    Item.objects.bulk_create(
        Item(n=n, kind=kinds[n], embedding=embeddings[n], half=embeddings[n]) for n in range(ROWS)
    )
    settle("item_graph", "item_lists", "item_halves")

with step("search", index="item_graph"):
    near = Item.objects.order_by(L2Distance("embedding", question))[:5]
    same([item.n for item in near], nearest("l2"))
with step("search by ivfflat", index="item_lists"):
    near = Item.objects.order_by(CosineDistance("embedding", question))[:5]
    same([item.n for item in near], nearest())
with step("search halves", index="item_halves"):
    near = Item.objects.order_by(L2Distance("half", question))[:5]
    same([item.n for item in near], nearest("l2"))
with step("filter"):
    near = Item.objects.filter(kind="news").order_by(CosineDistance("embedding", question))[:5]
    same([item.n for item in near], nearest(kind="news"))
with step("inner product and L1"):
    same([i.n for i in Item.objects.order_by(MaxInnerProduct("embedding", question))[:5]], nearest("ip"))
    same([i.n for i in Item.objects.order_by(L1Distance("embedding", question))[:5]], nearest("l1"))
with step("within a distance"):
    found = Item.objects.alias(distance=L2Distance("embedding", question)).filter(distance__lt=0.9)
    same(sorted(i.n for i in found), sorted(nearest("l2", k=found.count())))
with step("Avg"):
    mean = Item.objects.aggregate(Avg("embedding"))["embedding__avg"]
    close(mean, np.mean(embeddings, axis=0))
with step("inspectdb"):
    assert "class ShopItem" in manage("inspectdb", "shop_item")
if not BESIDE:
    with step("migrate back to nothing"):
        manage("migrate", "shop", "zero")
