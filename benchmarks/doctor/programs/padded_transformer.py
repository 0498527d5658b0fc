"""Which symbol comes first, the red or the blue one? An encoder with a mask for padding."""
import sys
import torch
import torch.nn as nn

seed = int(sys.argv[1])
torch.manual_seed(seed)
PAD, LONGEST = 0, 14


def sample(n):
    tokens = torch.full((n, LONGEST), PAD)
    labels = torch.zeros(n, dtype=torch.long)
    for i in range(n):
        length = int(torch.randint(5, LONGEST + 1, ()))
        row = torch.randint(3, 10, (length,))
        a, b = torch.randperm(length)[:2].tolist()
        row[a], row[b] = 1, 2
        tokens[i, :length] = row
        labels[i] = int(a < b)
    return tokens, labels


tokens_train, labels_train = sample(1200)
tokens_test, labels_test = sample(300)


class Encoder(nn.Module):
    def __init__(self, dim=32):
        super().__init__()
        self.token = nn.Embedding(10, dim, padding_idx=PAD)
        self.position = nn.Embedding(LONGEST, dim)
        layer = nn.TransformerEncoderLayer(dim, 4, 64, dropout=0.0, batch_first=True, norm_first=True)
        self.encoder = nn.TransformerEncoder(layer, 1, enable_nested_tensor=False)
        self.classify = nn.Linear(dim, 2)

    def forward(self, tokens):
        padding = tokens == PAD
        x = self.token(tokens)
        x = x + self.position(torch.arange(tokens.shape[1]))
        x = self.encoder(x, src_key_padding_mask=padding)
        x = x.masked_fill(padding[..., None], 0).sum(1) / (~padding).sum(1, keepdim=True)
        return self.classify(x)


model = Encoder()
optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
loss_fn = nn.CrossEntropyLoss()
for epoch in range(12):
    model.train()
    for rows in torch.randperm(1200).split(48):
        out = model(tokens_train[rows])
        loss = loss_fn(out, labels_train[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
model.eval()
with torch.no_grad():
    print("score", (model(tokens_test).argmax(1) == labels_test).float().mean().item())
