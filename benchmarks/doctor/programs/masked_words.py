"""Words are hidden and guessed from their neighbours, as BERT was trained."""
import sys
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(int(sys.argv[1]))
MASK, LENGTH, WORDS = 0, 12, 21


def sentences(count):
    """Counting on or back by one or two, from anywhere, round in a circle of twenty."""
    start = torch.randint(0, 20, (count, 1))
    stride = torch.tensor([-2, -1, 1, 2])[torch.randint(0, 4, (count, 1))]
    return (start + stride * torch.arange(LENGTH)) % 20 + 1


class MaskedModel(nn.Module):
    def __init__(self, dim=48):
        super().__init__()
        self.words = nn.Embedding(WORDS, dim)
        self.places = nn.Embedding(LENGTH, dim)
        self.blocks = nn.TransformerEncoder(
            nn.TransformerEncoderLayer(dim, 4, 96, dropout=0.0, batch_first=True), num_layers=2
        )
        self.out = nn.Linear(dim, WORDS)

    def forward(self, tokens):
        hidden = self.words(tokens) + self.places(torch.arange(LENGTH))
        return self.out(self.blocks(hidden))


def masked(tokens):
    chosen = torch.rand(tokens.shape) < 0.2
    return tokens.masked_fill(chosen, MASK), chosen


train, held_out = sentences(2000), sentences(400)
model = MaskedModel()
optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
for epoch in range(12):
    model.train()
    for batch in torch.utils.data.DataLoader(train, batch_size=64, shuffle=True):
        seen, chosen = masked(batch)
        loss = F.cross_entropy(model(seen)[chosen], batch[chosen])
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()

model.eval()
with torch.no_grad():
    seen, chosen = masked(held_out)
    guessed = model(seen).argmax(-1)
print("score", (guessed == held_out)[chosen].float().mean().item())
