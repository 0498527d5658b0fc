"""Which pixels belong to a disc? Tiny encoder and decoder with a skip connection."""
import sys
import torch
import torch.nn as nn

torch.manual_seed(int(sys.argv[1]))


def scenes(n, size=16):
    yy, xx = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    centre = torch.rand(n, 2, 1, 1) * 8 + 4
    radius = torch.rand(n, 1, 1) * 3 + 2
    mask = ((xx - centre[:, 0]) ** 2 + (yy - centre[:, 1]) ** 2 < radius ** 2).float()
    image = mask * 0.8 - 0.4 + 0.6 * torch.randn(n, size, size)
    return image[:, None], mask[:, None]


class UNet(nn.Module):
    def __init__(self, c=12):
        super().__init__()
        self.down1 = nn.Sequential(nn.Conv2d(1, c, 3, padding=1), nn.BatchNorm2d(c), nn.ReLU())
        self.down2 = nn.Sequential(nn.Conv2d(c, 2 * c, 3, padding=1), nn.BatchNorm2d(2 * c), nn.ReLU())
        self.up = nn.ConvTranspose2d(2 * c, c, 2, stride=2)
        self.mix = nn.Sequential(nn.Conv2d(2 * c, c, 3, padding=1), nn.BatchNorm2d(c), nn.ReLU())
        self.out = nn.Conv2d(c, 1, 1)

    def forward(self, x):
        a = self.down1(x)
        b = self.down2(nn.functional.max_pool2d(a, 2))
        x = self.mix(torch.cat([a, self.up(b)], 1))
        return self.out(x)


def dice(logits, target):
    p = torch.sigmoid(logits)
    overlap = (p * target).sum((1, 2, 3))
    return 1 - (2 * overlap + 1) / (p.sum((1, 2, 3)) + target.sum((1, 2, 3)) + 1)


train_x, train_y = scenes(320)
test_x, test_y = scenes(100)
net = UNet()
opt = torch.optim.AdamW(net.parameters(), lr=5e-3)
for epoch in range(8):
    net.train()
    for rows in torch.randperm(320).split(16):
        out = net(train_x[rows])
        loss = nn.functional.binary_cross_entropy_with_logits(out, train_y[rows]) + dice(out, train_y[rows]).mean()
        opt.zero_grad()
        loss.backward()
        opt.step()
net.eval()
with torch.no_grad():
    guess = net(test_x) > 0
    inter = (guess & test_y.bool()).sum()
    union = (guess | test_y.bool()).sum()
print("score", (inter / union).item())
