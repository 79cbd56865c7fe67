# one short run: a higher learning rate than that of the long schedules, and validation now and then
_base_ = './sgd_150e.py'
optimizer = dict(lr=0.03)
total_epochs = 28
