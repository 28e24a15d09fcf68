"""The products that the simulated station inspects, by name."""

from mmdefect.errors import CardError
from mmdefect.simulate.board import BOARD
from mmdefect.simulate.body import Kind, Product
from mmdefect.simulate.bracket import BRACKET
from mmdefect.simulate.panel import PANEL

GOOD = "good"
PRODUCTS: dict[str, Product] = {product.name: product for product in (BRACKET, PANEL, BOARD)}


def product_named(name: str) -> Product:
    """Find a product.

    Raises
    ------
    CardError
        When there is none of that name.
    """
    if name not in PRODUCTS:
        raise CardError(f"no product {name!r}; there are: {', '.join(PRODUCTS)}")
    return PRODUCTS[name]


def kind_of(product: Product, name: str) -> Kind:
    """Find a product's kind of defect.

    Raises
    ------
    CardError
        When it has none of that name.
    """
    if name not in product.kinds:
        raise CardError(
            f"no kind {name!r} on the simulated {product.name}; there are: "
            f"{', '.join((GOOD, *product.kinds))}"
        )
    return product.kinds[name]
