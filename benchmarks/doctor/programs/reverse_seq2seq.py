"""Reverse a string of symbols with an encoder and a decoder."""
import sys
import torch
from torch import nn

torch.manual_seed(int(sys.argv[1]))
BOS, SYMBOLS, LENGTH = 0, 8, 6
VOCAB = SYMBOLS + 1


class Seq2Seq(nn.Module):
    def __init__(self, dim=48):
        super().__init__()
        self.src = nn.Embedding(VOCAB, dim)
        self.tgt = nn.Embedding(VOCAB, dim)
        self.position = nn.Embedding(LENGTH + 1, dim)
        self.transformer = nn.Transformer(
            dim, nhead=4, num_encoder_layers=1, num_decoder_layers=1,
            dim_feedforward=96, dropout=0.0, batch_first=True,
        )
        self.generator = nn.Linear(dim, VOCAB)

    def forward(self, source, target):
        places = torch.arange(LENGTH + 1)
        s = self.src(source) + self.position(places[: source.size(1)])
        t = self.tgt(target) + self.position(places[: target.size(1)])
        mask = nn.Transformer.generate_square_subsequent_mask(target.size(1))
        return self.generator(self.transformer(s, t, tgt_mask=mask))


def pairs(n):
    source = torch.randint(1, VOCAB, (n, LENGTH))
    return source, source.flip(1)


model = Seq2Seq()
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
criterion = nn.CrossEntropyLoss()
for step in range(250):
    source, target = pairs(32)
    decoder_input = torch.cat([torch.full((32, 1), BOS), target[:, :-1]], 1)
    logits = model(source, decoder_input)
    loss = criterion(logits.reshape(-1, VOCAB), target.reshape(-1))
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()

model.eval()
source, target = pairs(200)
written = torch.full((200, 1), BOS)
with torch.no_grad():
    for _ in range(LENGTH):
        following = model(source, written)[:, -1].argmax(-1, keepdim=True)
        written = torch.cat([written, following], 1)
print("score", (written[:, 1:] == target).float().mean().item())
