"""Induction: a causal transformer is shown a random string twice, and must say the second half."""
import sys
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(int(sys.argv[1]))
N_TOKENS, HALF = 8, 6


class Block(nn.Module):
    def __init__(self, dim, heads):
        super().__init__()
        self.ln1, self.ln2 = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.attn = nn.MultiheadAttention(dim, heads, batch_first=True)
        self.mlp = nn.Sequential(nn.Linear(dim, 2 * dim), nn.GELU(), nn.Linear(2 * dim, dim))

    def forward(self, x, mask):
        h = self.ln1(x)
        x = x + self.attn(h, h, h, attn_mask=mask, need_weights=False)[0]
        return x + self.mlp(self.ln2(x))


class Decoder(nn.Module):
    def __init__(self, dim=32, heads=4):
        super().__init__()
        self.tok = nn.Embedding(N_TOKENS, dim)
        self.pos = nn.Embedding(2 * HALF, dim)
        self.blocks = nn.ModuleList([Block(dim, heads), Block(dim, heads)])
        self.ln = nn.LayerNorm(dim)
        self.head = nn.Linear(dim, N_TOKENS, bias=False)

    def forward(self, idx):
        t = idx.shape[1]
        mask = torch.triu(torch.ones(t, t, dtype=torch.bool), diagonal=1)
        x = self.tok(idx) + self.pos(torch.arange(t))
        for block in self.blocks:
            x = block(x, mask)
        return self.head(self.ln(x))


def get_batch(n):
    half = torch.randint(0, N_TOKENS, (n, HALF))
    return torch.cat([half, half], dim=1)


model = Decoder()
optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, betas=(0.9, 0.95))
for step in range(500):
    batch = get_batch(48)
    x, y = batch[:, :-1], batch[:, 1:].clone()
    y[:, : HALF - 1] = -1  # the first half cannot be known
    logits = model(x)
    loss = F.cross_entropy(logits.reshape(-1, N_TOKENS), y.reshape(-1), ignore_index=-1)
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()

model.eval()
with torch.no_grad():
    batch = get_batch(500)
    said = model(batch[:, :-1]).argmax(-1)[:, HALF - 1 :]
print("score", (said == batch[:, HALF:]).float().mean().item())
