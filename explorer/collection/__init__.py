"""What is explored: sources, their items, pictures made safe, and the features computed once for each."""
