"""What vectors tell: neighbours, the map, groups, odd ones out, and what is there twice."""

from explorer.space.build import build_space
from explorer.space.cards import ClusterCard
from explorer.space.recipe import SpaceRecipe
from explorer.space.space import Space, SpaceInfo, list_spaces, open_space

__all__ = ["ClusterCard", "Space", "SpaceInfo", "SpaceRecipe", "build_space", "list_spaces", "open_space"]
